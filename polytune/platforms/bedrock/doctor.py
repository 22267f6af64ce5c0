"""The account checks of `polytune doctor`: one per line, all of them read-only.

Every check passes, or reports a problem with its fix, or reports that it was not permitted.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

from polytune.aws import iam
from polytune.aws.access import Access, CallerIdentity
from polytune.aws.failures import AwsFailure, Missing
from polytune.aws.objects import Objects
from polytune.aws.policies import bedrock, service_policy
from polytune.errors import PolytuneError
from polytune.platforms.bedrock.requests import platform_name
from polytune.platforms.bedrock.requirements import AccountRequirements, RequiredTraining
from polytune.platforms.bedrock.resources import (
    Inventory,
    customization,
    deployment,
    model_import,
    polytunes,
)
from polytune.platforms.management import PreflightCheck, ok, unchecked, wrong

seen_quotas = (
    ("jobs that wait or train", 10),
    ("custom models", 100),
    ("on-demand deployments", 10),
)
"""The quotas of two accounts with real jobs in 2026; all are adjustable."""


@dataclass(frozen=True)
class AccountExamination:
    """Checks whether one account meets an experiment's requirements."""

    access: Access
    needed: AccountRequirements

    def checks(self) -> Iterator[PreflightCheck]:
        """Every check, in the order in which a run would hit the problems."""
        try:
            identity = self.access.identity()
        except AwsFailure as failure:
            yield wrong("identity", str(failure), "Sign in, then ask again: nothing else was looked at")
            return
        yield ok("identity", f"{identity.arn} in account {identity.account}")
        for name in dict.fromkeys((self.needed.places.bucket, self.needed.places.output_bucket)):
            yield from self._bucket(name)
        yield from self._role(identity)
        yield from self._key()
        yield from self._models()
        yield from self._functions(identity)
        yield from self._quotas()
        yield from self._names()

    # storage

    def _bucket(self, name: str) -> Iterator[PreflightCheck]:
        what = f"bucket {name}".strip()
        if not name:
            fix = "Set platform.bucket, or BEDROCK_TRAINING_BUCKET in .env"
            yield wrong(what, "no bucket is named", fix)
            return
        try:
            region = Objects(self.access).bucket_region(name)
        except Missing:
            yield wrong(
                what, "does not exist", f"Make it in {self.needed.places.region}, or name another one"
            )
            return
        except AwsFailure as failure:
            yield unchecked(what, failure)
            return
        if region != self.needed.places.region:
            fix = f"Bedrock reads only buckets of its own region: set platform.region to {region}, or take a"
            yield wrong(what, f"is in {region}", f"{fix} bucket in {self.needed.places.region}")
            return
        yield ok(what, f"exists in {region}")
        yield from self._bucket_policy(name)

    def _bucket_policy(self, name: str) -> Iterator[PreflightCheck]:
        """Reports a bucket policy that denies everyone, whatever the roles allow."""
        what = f"policy of bucket {name}"
        try:
            document = self.access.service("s3").call("GetBucketPolicy", {"Bucket": name})["Policy"]
        except Missing:
            return
        except AwsFailure as failure:
            if failure.code != "NoSuchBucketPolicy":
                yield unchecked(what, failure)
            return
        place = f"arn:aws:s3:::{name}/{self.needed.places.prefix}/*"
        open_to_all = replace(_everything, resources=(place,))
        statements = (open_to_all, *_statements(document))
        blocked = [
            action for action in ("s3:GetObject", "s3:PutObject") if not iam.allows(statements, action, place)
        ]
        if blocked:
            yield wrong(what, f"denies {', '.join(blocked)}", "Take the Deny out, or name another bucket")
        else:
            yield ok(what, "denies nothing that a job needs")

    # rights

    def _role(self, identity: CallerIdentity) -> Iterator[PreflightCheck]:
        arn = self.needed.places.role_arn
        if not arn:
            fix = (
                "Set platform.role_arn, or BEDROCK_ROLE_ARN in .env; `polytune iam FILE` prints its policies"
            )
            yield wrong("service role", "no role is named", fix)
            return
        try:
            role = iam.role(self.access, arn)
        except Missing:
            yield wrong("service role", f"{arn} does not exist", "`polytune iam FILE` prints what to make")
            return
        except AwsFailure as failure:
            yield unchecked("service role", failure)
            return
        except PolytuneError as failure:
            yield wrong("service role", str(failure), "Correct platform.role_arn or BEDROCK_ROLE_ARN")
            return
        if f":{identity.account}:" not in arn:
            fix = "Use a role of the account that runs the jobs, or set platform.assume_role_arn"
            yield wrong("service role", f"{arn} is in another account than {identity.account}", fix)
        other = _only_for(role, identity.account)
        if other:
            fix = "Set the trust policy that `polytune iam FILE` prints"
            yield wrong("service role", f"{role.name} may be used by jobs of account {other} only", fix)
        elif iam.trusts(role, bedrock):
            yield ok("service role", f"{role.name} trusts {bedrock}")
        else:
            fix = "Set the trust policy that `polytune iam FILE` prints"
            yield wrong("service role", f"{role.name} does not trust {bedrock}", fix)
        yield self._rights(role, identity.account)

    def _rights(self, role: iam.RoleFacts, account: str) -> PreflightCheck:
        """Whether the role's policies allow everything that the jobs need."""
        needed = service_policy(self.needed.policy_facts(account))["Statement"]
        lacking = [
            f"{action} on {resource}"
            for statement in needed
            for action in statement["Action"]
            for resource in statement["Resource"]
            if not iam.allows(role.statements, action, resource)
        ]
        if not lacking:
            return ok("service role's rights", "all that the jobs need, as far as its policies tell")
        shown = ", ".join(lacking[:4]) + (f" and {len(lacking) - 4} more" if len(lacking) > 4 else "")
        return wrong("service role's rights", f"lacks {shown}", "`polytune iam FILE` prints the whole policy")

    def _key(self) -> Iterator[PreflightCheck]:
        arn = self.needed.places.kms_key_arn
        if not arn:
            return
        try:
            key = self.access.service("kms").call("DescribeKey", {"KeyId": arn})["KeyMetadata"]
        except Missing:
            yield wrong("KMS key", f"{arn} does not exist", "Correct platform.kms_key_arn")
        except AwsFailure as failure:
            yield unchecked("KMS key", failure)
        else:
            state = str(key.get("KeyState") or "")
            if state == "Enabled":
                yield ok("KMS key", "is enabled")
            else:
                yield wrong("KMS key", f"is {state}", "Enable it, or take another one")

    # models

    def _models(self) -> Iterator[PreflightCheck]:
        try:
            found = self.access.service("bedrock").call("ListFoundationModels", {})["modelSummaries"]
        except AwsFailure as failure:
            yield unchecked("base models", failure)
            return
        live = {str(one["modelId"]): one for one in found}
        for training in self.needed.trainings:
            yield self._trainable(training, live)
            if training.teacher is not None:
                yield _there(f"teacher {training.teacher.name}", training.teacher.ids, live)

    def _trainable(self, training: RequiredTraining, live: Mapping[str, Any]) -> PreflightCheck:
        entry = training.entry
        what = f"base model of {training.step}"
        if entry is None:
            return ok(what, training.base_model)
        region = self.needed.places.region
        regions = entry.on(platform_name).regions
        if region not in regions:
            fix = f"Set platform.region to {' or '.join(regions)}, with a bucket there"
            return wrong(what, f"{entry.name} is customized in {', '.join(regions)}", fix)
        if entry.has_ended(f"{datetime.now(UTC):%Y-%m-%d}"):
            return wrong(what, f"{entry.name} ended on {entry.end_of_life}", "Choose another base model")
        return _there(what, entry.ids, live)

    def _functions(self, identity: CallerIdentity) -> Iterator[PreflightCheck]:
        for arn in self.needed.functions:
            # A function that polytune will deploy does not exist yet: its ARN still has placeholders.
            if "{" in arn:
                continue
            what = f"grader {arn.rpartition(':')[2]}"
            try:
                self.access.service("lambda").call("GetFunctionConfiguration", {"FunctionName": arn})
            except Missing:
                yield wrong(
                    what, f"{arn} does not exist in {identity.account}", "Correct reward.function_arn"
                )
            except AwsFailure as failure:
                yield unchecked(what, failure)
            else:
                yield ok(what, "exists")

    # quotas and names

    def _quotas(self) -> Iterator[PreflightCheck]:
        inventory = Inventory(self.access)
        try:
            running = sum(1 for job in inventory.all(customization) if not job.final)
            models = sum(1 for _ in inventory.bedrock.pages("ListCustomModels", {}, "modelSummaries"))
            deployments = list(inventory.all(deployment))
        except AwsFailure as failure:
            yield unchecked("quotas", failure)
            return
        used = (running, models, len(deployments))
        usage = ", ".join(
            f"{count} of {most} {name}" for (name, most), count in zip(seen_quotas, used, strict=True)
        )
        full = [name for (name, most), count in zip(seen_quotas, used, strict=True) if count >= most]
        if full:
            fix = "Delete what is not needed (`polytune reap`), or ask AWS for more in Service Quotas"
            yield wrong("quotas", f"{usage} (usual values)", fix)
        else:
            yield ok("quotas", f"{usage} (usual values; adjustable)")
        if self.needed.imports:
            yield from self._imports(inventory)

    def _imports(self, inventory: Inventory) -> Iterator[PreflightCheck]:
        try:
            running = [job.name for job in inventory.all(model_import) if not job.final]
        except AwsFailure as failure:
            yield unchecked("imports", failure)
            return
        yield ok("imports", f"{len(running)} on their way" if running else "none on its way")

    def _names(self) -> Iterator[PreflightCheck]:
        """Checks the names of stable deployments; names of jobs and models are unique and cannot collide."""
        inventory = Inventory(self.access)
        for wanted in self.needed.deployments:
            if not wanted.name:
                continue
            what = f"name {wanted.name}"
            try:
                found = inventory.read(deployment, wanted.name)
                tags = polytunes(inventory.tags(found.id))
            except Missing:
                yield ok(what, "is free")
            except AwsFailure as failure:
                yield unchecked(what, failure)
            else:
                if tags:
                    yield ok(
                        what, f"is a deployment of {tags.get('experiment') or 'polytune'}'s, to be updated"
                    )
                else:
                    taken = f"is taken by {found.id}, which polytune did not make and would update"
                    yield wrong(what, taken, f"Choose another name for the step {wanted.step}")


_everything = iam.Statement(
    policy="", effect="Allow", actions=("s3:*",), resources=(), services=(), conditions={}
)
"""Stands for the role's own permissions, so that only a Deny in the bucket policy makes a difference."""


def _statements(document: str) -> tuple[iam.Statement, ...]:
    """The statements of a bucket policy that apply to everyone."""
    try:
        held = json.loads(document)
        statements = held.get("Statement") or []
        listed = [statements] if isinstance(statements, dict) else statements
        everybody = [one for one in listed if one.get("Principal") in ("*", {"AWS": "*"})]
    except (ValueError, AttributeError):
        return ()
    return iam.statements_of("bucket policy", {"Statement": everybody})


def _only_for(role: iam.RoleFacts, account: str) -> str:
    """The other account that the trust policy requires; '' when it accepts this one."""
    for statement in role.trust:
        stated = (statement.conditions.get("StringEquals") or {}).get("aws:SourceAccount")
        wanted = [stated] if isinstance(stated, str) else list(stated or ())
        if wanted and account not in wanted:
            return ", ".join(map(str, wanted))
    return ""


def _there(what: str, ids: tuple[str, ...], live: Mapping[str, Any]) -> PreflightCheck:
    found = next((each for each in ids if each in live), None)
    if found is None:
        fix = "Ask for access in the Bedrock console, or choose another region"
        return wrong(what, f"{ids[0]} is not among the region's models", fix)
    status = str((live[found].get("modelLifecycle") or {}).get("status") or "ACTIVE")
    if status != "ACTIVE":
        return PreflightCheck(what=what, state="ok", found=f"{found} is there, but {status}: it will end")
    return ok(what, f"{found} is there")
