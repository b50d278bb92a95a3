"""One file a family of tasks: every `Task`, and every list of them, at the top of a file is registered by itself."""
