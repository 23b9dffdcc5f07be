"""Pointclouds in every PCD encoding.

- `pcd_file`: to and from arrays; `pcd_header`, `pcd_data`, `lzf_data`: the parts of one
"""
