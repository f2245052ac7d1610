"""ECG in: frames as bytes, the socket, the queue, and what is given up when too much comes."""
