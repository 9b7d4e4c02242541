"""The command line: each command fills a job or calls a room below, and prints the result."""
