"""The picture formats as containers: where a picture ends, how many frames it has, where its XMP lies.

Every module here offers the same three functions (`base.Container`) and changes no compressed pixel.
"""
