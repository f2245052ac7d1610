"""What is kept on disk: the alert journal and the streams' checkpoints."""
