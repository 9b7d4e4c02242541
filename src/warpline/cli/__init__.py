"""The command line: each command fills a job or calls a room below, and says what happened."""
