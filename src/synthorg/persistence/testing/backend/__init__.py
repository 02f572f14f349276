"""What every backend promises, whoever has written it.

One module for each subject; a test that needs more than `PersistenceBackend` says so by `needs`.
"""

import pytest

from synthorg.persistence.protocol import PersistenceBackend
from synthorg.persistence.testing.backend.artifacts import Artifacts
from synthorg.persistence.testing.backend.audit import Audit
from synthorg.persistence.testing.backend.auth import Users
from synthorg.persistence.testing.backend.bulk import Bulk
from synthorg.persistence.testing.backend.concurrency import Concurrency
from synthorg.persistence.testing.backend.costs import Costs
from synthorg.persistence.testing.backend.execution import Executions
from synthorg.persistence.testing.backend.hr import People
from synthorg.persistence.testing.backend.keys import Keys
from synthorg.persistence.testing.backend.lifecycle import Lifecycle
from synthorg.persistence.testing.backend.lists import Lists
from synthorg.persistence.testing.backend.messages import Messages
from synthorg.persistence.testing.backend.paging import Paging
from synthorg.persistence.testing.backend.parked_contexts import ParkedContexts
from synthorg.persistence.testing.backend.presets import Presets
from synthorg.persistence.testing.backend.projects import Projects
from synthorg.persistence.testing.backend.saving import Saving
from synthorg.persistence.testing.backend.settings import Settings
from synthorg.persistence.testing.backend.streaming import Streaming
from synthorg.persistence.testing.backend.tasks import Tasks
from synthorg.persistence.testing.backend.totals import Totals
from synthorg.persistence.testing.backend.units_of_work import UnitsOfWork
from synthorg.persistence.testing.backend.workflows import Workflows
from synthorg.persistence.testing.needs import CAPABILITIES
from synthorg.persistence.testing.plugin import note_offers


class BackendConformance(
    Saving,
    Lists,
    Keys,
    Tasks,
    Settings,
    Users,
    Executions,
    People,
    Messages,
    Audit,
    Artifacts,
    Projects,
    Presets,
    ParkedContexts,
    Workflows,
    Costs,
    Paging,
    Bulk,
    UnitsOfWork,
    Totals,
    Lifecycle,
    Streaming,
    Concurrency,
):
    """All that a `PersistenceBackend` promises, on the fixture `persistence_backend`.

    Derive a class of tests from it, and have the fixture give a connected backend without records.
    What needs units of work, bulk writes or another optional protocol is skipped where the backend
    has none; the summary of pytest says which it has.
    """

    pytestmark = pytest.mark.asyncio

    @pytest.fixture
    def backend(
        self, request: pytest.FixtureRequest, persistence_backend: PersistenceBackend
    ) -> PersistenceBackend:
        """The backend, if it offers what the test needs."""
        note_offers(request.config, persistence_backend)
        for mark in request.node.iter_markers("needs"):
            (protocol,) = mark.args
            if not isinstance(persistence_backend, protocol):
                pytest.skip(f"the backend does not offer {CAPABILITIES[protocol]}")
        return persistence_backend
