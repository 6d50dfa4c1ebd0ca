"""All routes of the library, gathered from the files that hold them."""

from imagegen.blueprints.library import downloads, listing, picker, pictures, shelves, verbs
from imagegen.blueprints.library.blueprint import blueprint

__all__ = ["blueprint", "downloads", "listing", "picker", "pictures", "shelves", "verbs"]
