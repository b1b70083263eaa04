"""Our training step against the same step in other runtimes."""
