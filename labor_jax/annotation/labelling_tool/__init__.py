"""The labelling tool: how people label a round's items in the browser, and the server for it."""
