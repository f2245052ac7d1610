"""What is stored on disk: the alert journal and the streams' checkpoints."""
