"""Tasks have deadlines; whoever misses too many of them is told on to user-service, which decides what follows."""
