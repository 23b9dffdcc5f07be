"""Pictures: PNG and JPEG.

- `picture`: as arrays; `official_image`: in the official toolkit's forms
- `picture_header`: what one is; `png_chunks`: whether a PNG is whole
"""
