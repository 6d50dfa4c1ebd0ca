"""`make run`: starts Redis, web, workers and scheduler, restarts what dies, and leaves nothing behind."""
