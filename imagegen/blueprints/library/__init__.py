"""The library: finding pictures, looking at one, and putting many in order."""
