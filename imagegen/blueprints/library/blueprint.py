"""The blueprint that the routes of this folder share."""

from flask import Blueprint

blueprint = Blueprint("library", __name__, url_prefix="/library")
