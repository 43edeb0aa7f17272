// The HTTP API: every request of a page goes through here.

export class Failure extends Error {
  /** What the service says: a status (0: it did not answer), a code, and a sentence for people. */
  constructor(status, code, message, details = {}) {
    super(message);
    Object.assign(this, {status, code, details});
  }
}

/** Ask for JSON; `body` is sent as JSON. Throws a Failure, and leads to the sign-in if one is needed. */
export async function request(path, {method = "GET", body, signal} = {}) {
  const headers = {Accept: "application/json"};
  if (body !== undefined) headers["Content-Type"] = "application/json";
  let response;
  try {
    response = await fetch(path, {method, headers, signal, body: body === undefined ? undefined : JSON.stringify(body)});
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Failure(0, "offline", "Reelscribe does not answer; check the connection and try again");
  }
  if (response.ok) return response.status === 204 ? null : response.json();
  const {error} = await response.json().catch(() => ({}));
  if (response.status === 401) signIn();
  const {code, message, ...details} = error ?? {code: "unknown", message: `Reelscribe answered ${response.status}`};
  throw new Failure(response.status, code, message, details);
}

/** Leave for the page for signing in, which leads back here. */
export function signIn() {
  location.assign(`/sign-in?next=${encodeURIComponent(location.pathname + location.search + location.hash)}`);
}

/** The address without its host: the page may be open under another name than `public_url`, with which links are made, and
 *  plays nothing of other hosts. */
export function onThisHost(address) {
  const {pathname, search} = new URL(address, location.href);
  return pathname + search;
}

/** The path of a recording's page or of its API: each part of its savepath is escaped, and the slashes stay, but for
 *  the one before a last part that is the name of a route. */
export function pathOf(before, savepath) {
  const path = savepath.split("/").map(encodeURIComponent).join("/");
  return before + path.replace(/\/(file|audio|peaks|segments|about|undo|title)$/, "%2F$1");
}
