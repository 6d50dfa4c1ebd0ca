"""Where gunicorn and `flask --app wsgi` start."""

import sys

from imagegen.app import create_app
from imagegen.settings import SettingsError

try:
    app = create_app()
except SettingsError as error:
    sys.exit(str(error))
