"""What every part uses and none of them is: files, names, signals, the console."""
