"""The system inference profiles of the catalogue's models."""

from __future__ import annotations

import re
from datetime import UTC, datetime

from polytune.emulator.bedrock.call import ApiCall, Area, Members, not_found
from polytune.emulator.bedrock.catalogue import Foundation, profile_arn, profiles
from polytune.emulator.bedrock.selection import Listing
from polytune.emulator.bedrock.world import World, foundation_arn

profile_regions = ("us-east-1", "us-east-2", "us-west-2")
"""The regions to which a `us.` profile may route requests."""
profiles_since = datetime(2024, 12, 3, tzinfo=UTC)
"""A plausible creation date. The real ones differ by profile, and nothing depends on them."""


class Profiles(Area):
    """The inference profiles that exist in every account."""

    def __init__(self, world: World) -> None:
        self.world = world

    def list_inference_profiles(self, call: ApiCall) -> Members:
        """The region's profiles."""
        listing = Listing[tuple[str, Foundation]](
            member="inferenceProfileSummaries",
            name=lambda one: one[0],
            created=lambda one: profiles_since,
            arn=lambda one: one[0],
            summary=lambda one: self._described(call.region, *one),
            equal={"typeEquals": "type"},
        )
        return listing.page(call, profiles().items())

    def get_inference_profile(self, call: ApiCall) -> Members:
        """The profile with this id or ARN."""
        wanted = call.text("inferenceProfileIdentifier")
        arn = profile_arn.fullmatch(wanted)
        found = profiles().get(arn["id"] if arn else wanted)
        if found is None:
            raise not_found("The provided inference profile was not found.")
        return self._described(call.region, arn["id"] if arn else wanted, found)

    def _described(self, region: str, profile_id: str, model: Foundation) -> Members:
        # The API's pattern for profile names allows letters, digits, spaces and few signs, no dots.
        name = re.sub(r"[^0-9A-Za-z]+", " ", model.title).strip()
        geography = profile_id.partition(".")[0].upper()
        return {
            "inferenceProfileName": f"{geography} {name}",
            "description": f"Routes requests to {name} in {' '.join(profile_regions)}.",
            "createdAt": profiles_since,
            "updatedAt": profiles_since,
            "inferenceProfileArn": self.world.arn(region, f"inference-profile/{profile_id}"),
            "models": [{"modelArn": foundation_arn(each, model.model_id)} for each in profile_regions],
            "inferenceProfileId": profile_id,
            "status": "ACTIVE",
            "type": "SYSTEM_DEFINED",
        }
