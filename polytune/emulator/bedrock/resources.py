"""The models an account can own, and what makes them usable: the kinds that several areas look at.

What a resource is at a time follows from its fields and that time alone; nothing ticks.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Literal

from polytune.emulator.bedrock.call import Members
from polytune.emulator.bedrock.catalogue import Foundation

ModelStatus = Literal["Creating", "Active", "Failed"]
DeploymentStatus = Literal["Creating", "Active", "Failed"]
ThroughputStatus = Literal["Creating", "InService", "Updating", "Failed"]
CopyStatus = Literal["InProgress", "Completed", "Failed"]


@dataclass
class CustomModel:
    """A model that a customization job made, or that was brought along."""

    arn: str
    name: str
    region: str
    created: datetime
    base: Foundation | None
    """None for one that was brought along."""
    base_arn: str
    """Of the foundation model, or of the custom model that it was trained further from; '' when unknown."""
    customization_type: str
    active_after: timedelta = timedelta(0)
    failure: str = ""
    details: Members = field(default_factory=dict)
    """What GetCustomModel tells besides: the job, the data, the hyperparameters, the metrics."""

    def status(self, now: datetime) -> ModelStatus:
        """Creating for a while, if it was brought along."""
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
    """When another model was last put behind it."""
    update_after: timedelta = timedelta(0)
    next_model_arn: str | None = None
    """The model that the last update asked for."""

    def status(self, now: datetime) -> DeploymentStatus:
        """Creating, then Active; an update does not interrupt it."""
        return "Active" if now >= self.created + self.ready_after else "Creating"

    def updating(self, now: datetime) -> bool:
        """Whether an update is under way."""
        return self.updated is not None and now < self.updated + self.update_after

    def serving(self, now: datetime) -> str:
        """The ARN of the model that answers now."""
        if self.next_model_arn is None or self.updating(now):
            return self.model_arn
        return self.next_model_arn


@dataclass
class ProvisionedThroughput:
    """Bought capacity for one model."""

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
        """Creating, InService, and Updating while another model is being put in."""
        if now < self.created + self.ready_after:
            return "Creating"
        return "Updating" if self._updating(now) else "InService"

    def serving(self, now: datetime) -> str:
        """The ARN of the model that answers now."""
        return self.model_arn if self.next_model_arn is None or self._updating(now) else self.next_model_arn

    def changed(self, now: datetime) -> datetime:
        """When its status last changed."""
        if self.updated is not None:
            return self.updated if self._updating(now) else self.updated + self.update_after
        ready = self.created + self.ready_after
        return ready if now >= ready else self.created

    def _updating(self, now: datetime) -> bool:
        return self.updated is not None and now < self.updated + self.update_after
