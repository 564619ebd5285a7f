"""The live picture in any browser: a web server in a process of its own, and the pipeline's end of it."""
