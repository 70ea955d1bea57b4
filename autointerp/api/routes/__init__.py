"""The paths, one router a file."""

from autointerp.api.routes.dictionary import router as dictionary
from autointerp.api.routes.events import router as events
from autointerp.api.routes.feature import router as feature
from autointerp.api.routes.health import router as health
from autointerp.api.routes.jobs import router as jobs
from autointerp.api.routes.labels import router as labels
from autointerp.api.routes.questions import router as questions
from autointerp.api.routes.units import router as units

__all__ = ["ROUTERS"]

# Those that are asked most are looked at first.
ROUTERS = (labels, units, jobs, events, questions, dictionary, feature, health)
