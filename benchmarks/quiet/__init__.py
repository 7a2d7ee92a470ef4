"""One run of every program in a short form, for a window in which the machine has nothing else to do."""
