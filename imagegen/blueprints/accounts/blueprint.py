"""The blueprint that the routes of this folder share."""

from flask import Blueprint

blueprint = Blueprint("accounts", __name__)
