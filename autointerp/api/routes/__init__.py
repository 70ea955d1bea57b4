"""The paths, one router a file."""

from autointerp.api.routes.busy_workers import router as busy_workers
from autointerp.api.routes.compare import router as compare
from autointerp.api.routes.dictionary import router as dictionary
from autointerp.api.routes.documents import router as documents
from autointerp.api.routes.estimates import router as estimates
from autointerp.api.routes.events import router as events
from autointerp.api.routes.evidence_requests import router as evidence_requests
from autointerp.api.routes.example_pages import router as example_pages
from autointerp.api.routes.find_pages import router as find_pages
from autointerp.api.routes.find_requests import router as find_requests
from autointerp.api.routes.job_pages import router as job_pages
from autointerp.api.routes.jobs import router as jobs
from autointerp.api.routes.labels import router as labels
from autointerp.api.routes.moved import pages_router as moved_page
from autointerp.api.routes.moved import router as moved
from autointerp.api.routes.pages import router as pages
from autointerp.api.routes.rescored_pages import router as rescored_pages
from autointerp.api.routes.service_health import router as health
from autointerp.api.routes.sign_in import router as sign_in
from autointerp.api.routes.strongest import router as strongest
from autointerp.api.routes.trials import pages_router as trial_pages
from autointerp.api.routes.trials import router as trials
from autointerp.api.routes.units import neuronpedia_router as neuronpedia
from autointerp.api.routes.units import router as units
from autointerp.api.routes.worker_requests import router as worker_requests

__all__ = ["ROUTERS"]

# Those that are asked most are looked at first.
ROUTERS = (
    *(labels, units, jobs, events, worker_requests, strongest, dictionary),
    *(estimates, neuronpedia, health, trials, pages, trial_pages, compare, job_pages, sign_in),
    *(example_pages, moved, moved_page, documents, busy_workers),
    *(evidence_requests, find_requests, find_pages, rescored_pages),
)
