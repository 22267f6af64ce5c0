"""Tags of all taggable resources: TagResource, UntagResource, ListTagsForResource."""

from __future__ import annotations

from polytune.emulator.bedrock.call import ApiCall, Area, EmulatedError, Members, not_found
from polytune.emulator.bedrock.world import World

most_tags = 50
"""Tags per resource (docs.aws.amazon.com/tag-editor/latest/userguide/best-practices-and-strats.html)."""


class Tags(Area):
    """The account's tags. Deleting a resource deletes its tags."""

    def __init__(self, world: World) -> None:
        self._state = world.state

    def tag_resource(self, call: ApiCall) -> Members:
        """The resource has these tags in addition to its others."""
        tags = self._of(call)
        # Check the limit on the merged tags before changing anything: a refused call has no effect.
        wanted = tags | {tag["key"]: tag["value"] for tag in call.members["tags"]}
        if len(wanted) > most_tags:
            raise EmulatedError("TooManyTagsException", f"a resource takes at most {most_tags} tags")
        tags.update(wanted)
        return {}

    def untag_resource(self, call: ApiCall) -> Members:
        """The resource has none of these tags."""
        tags = self._of(call)
        for key in call.members["tagKeys"]:
            tags.pop(key, None)
        return {}

    def list_tags_for_resource(self, call: ApiCall) -> Members:
        """The resource's tags."""
        return {"tags": [{"key": key, "value": value} for key, value in self._of(call).items()]}

    def _of(self, call: ApiCall) -> dict[str, str]:
        arn = call.text("resourceARN")
        if arn not in self._state.tags:
            raise not_found(f"The provided resource ARN {arn} was not found.")
        return self._state.tags[arn]
