"""One file per resource of the API, one method per call. They say what is sent where, and decide nothing: checks and words are the server's."""
