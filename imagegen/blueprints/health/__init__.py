"""Whether the studio lives and is ready, for supervisors and proxies."""
