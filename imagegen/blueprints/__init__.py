"""Pages, one folder for each place in the studio."""

from imagegen.blueprints.accounts.routes import blueprint as accounts
from imagegen.blueprints.admin.routes import blueprint as admin
from imagegen.blueprints.generator.routes import blueprint as generator
from imagegen.blueprints.health.routes import blueprint as health
from imagegen.blueprints.jobs.routes import blueprint as jobs
from imagegen.blueprints.library.routes import blueprint as library
from imagegen.blueprints.library.uploads import blueprint as uploads
from imagegen.blueprints.media.routes import blueprint as media
from imagegen.blueprints.money.budgets import blueprint as budgets
from imagegen.blueprints.money.prices import blueprint as prices
from imagegen.blueprints.money.usage import blueprint as usage
from imagegen.blueprints.setup.routes import blueprint as setup
from imagegen.blueprints.styleguide.routes import blueprint as styleguide

BLUEPRINTS = (
    setup,
    accounts,
    admin,
    generator,
    jobs,
    library,
    uploads,
    media,
    usage,
    budgets,
    prices,
    health,
    styleguide,
)
