"""The transcriber: a savepath or a file in, segments out as they are decoded."""
