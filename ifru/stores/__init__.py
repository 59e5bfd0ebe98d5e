"""Where versions lie: buckets, folders and memory, behind one protocol."""
