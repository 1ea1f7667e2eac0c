"""Makes the catalogs from the published packages, and the catalog of one image from the SGLang in it.
`make catalog` and the image's build call it; nothing of it is imported when a server starts.
"""
