"""A web app that is a package with a command of its own."""
