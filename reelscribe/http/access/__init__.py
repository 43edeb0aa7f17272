"""Who makes a request and what they may do: tokens, sessions, proxies, and the pages of other sites."""
