"""The resources that several areas share: an account's models, and the capacity that serves them.

A resource's status is a function of its fields and the time. No timer or background thread updates it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Literal

from polytune.emulator.bedrock.call import Members
from polytune.emulator.bedrock.catalogue import Foundation

# The API's spellings. Failed statuses are part of the types because clients must handle them; the emulator
# itself never fails a deployment or a throughput.
ModelStatus = Literal["Creating", "Active", "Failed"]
DeploymentStatus = Literal["Creating", "Active", "Failed"]
ThroughputStatus = Literal["Creating", "InService", "Updating", "Failed"]
CopyStatus = Literal["InProgress", "Completed", "Failed"]


@dataclass
class CustomModel:
    """A model made by a customization job, or by CreateCustomModel from weights trained elsewhere."""

    arn: str
    name: str
    region: str
    created: datetime
    base: Foundation | None
    """None for a model made by CreateCustomModel."""
    base_arn: str
    """The ARN of the model it was trained from, a foundation model or a custom model; '' when unknown."""
    customization_type: str
    active_after: timedelta = timedelta(0)
    """How long its status is Creating."""
    failure: str = ""
    details: Members = field(default_factory=dict)
    """Further members of the GetCustomModel response: job, data, hyperparameters, metrics."""

    def status(self, now: datetime) -> ModelStatus:
        """Its status at `now`; only a model made by CreateCustomModel is ever Creating."""
        if now < self.created + self.active_after:
            return "Creating"
        return "Failed" if self.failure else "Active"


@dataclass
class ImportedModel:
    """A model whose weights were imported."""

    arn: str
    name: str
    region: str
    created: datetime
    architecture: str
    instruct: bool
    job_arn: str
    job_name: str
    source: Members
    """Its `modelDataSource`."""
    kms_key_arn: str | None = None


@dataclass
class Deployment:
    """A custom model that can be invoked on demand."""

    arn: str
    name: str
    region: str
    created: datetime
    model_arn: str
    ready_after: timedelta
    description: str | None = None
    updated: datetime | None = None
    """When an update last changed its model."""
    update_after: timedelta = timedelta(0)
    next_model_arn: str | None = None
    """The model requested by the last update."""

    def status(self, now: datetime) -> DeploymentStatus:
        """Creating, then Active. It stays Active during an update."""
        return "Active" if now >= self.created + self.ready_after else "Creating"

    def updating(self, now: datetime) -> bool:
        """Whether an update is in progress."""
        return self.updated is not None and now < self.updated + self.update_after

    def serving(self, now: datetime) -> str:
        """The ARN of the model that answers at `now`."""
        # The old model answers until the update is complete: there is no interruption.
        if self.next_model_arn is None or self.updating(now):
            return self.model_arn
        return self.next_model_arn


@dataclass
class ProvisionedThroughput:
    """Purchased capacity for one model."""

    arn: str
    name: str
    region: str
    created: datetime
    model_arn: str
    foundation_arn: str
    units: int
    ready_after: timedelta
    commitment: str | None = None
    expires: datetime | None = None
    """The end of the commitment."""
    updated: datetime | None = None
    update_after: timedelta = timedelta(0)
    next_model_arn: str | None = None

    def status(self, now: datetime) -> ThroughputStatus:
        """Creating, then InService; Updating while it switches to another model."""
        if now < self.created + self.ready_after:
            return "Creating"
        return "Updating" if self._updating(now) else "InService"

    def serving(self, now: datetime) -> str:
        """The ARN of the model that answers at `now`."""
        return self.model_arn if self.next_model_arn is None or self._updating(now) else self.next_model_arn

    def changed(self, now: datetime) -> datetime:
        """When its status last changed."""
        if self.updated is not None:
            return self.updated if self._updating(now) else self.updated + self.update_after
        ready = self.created + self.ready_after
        return ready if now >= ready else self.created

    def _updating(self, now: datetime) -> bool:
        return self.updated is not None and now < self.updated + self.update_after
