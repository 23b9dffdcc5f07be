"""A submission from folders of pictures, videos or meshes."""
