"""Arrays as bounded async streams: pointclouds read ahead; a file a stream."""
