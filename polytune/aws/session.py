"""A botocore session that reads every AWS_* variable from a given mapping instead of the process environment.

Variables that are set only in the workspace's `.env` apply; variables that the mapping lacks do not. A
rehearsal with its own mapping therefore cannot reach the real account through a forgotten variable.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any

from botocore.config import Config
from botocore.configprovider import (
    DEFAULT_S3_CONFIG_VARS,
    ConfigChainFactory,
    ConfiguredEndpointProvider,
    SectionConfigProvider,
)
from botocore.credentials import (
    AssumeRoleCredentialFetcher,
    AssumeRoleWithWebIdentityProvider,
    ContainerProvider,
    CredentialResolver,
    DeferredRefreshableCredentials,
    create_credential_resolver,
)
from botocore.loaders import create_loader
from botocore.session import Session
from botocore.tokens import ScopedEnvTokenProvider, SSOTokenProvider, TokenProviderChain

from polytune.aws.stated import bearer_variable, may_have_metadata_service

web_identity = {
    "web_identity_token_file": "AWS_WEB_IDENTITY_TOKEN_FILE",
    "role_session_name": "AWS_ROLE_SESSION_NAME",
    "role_arn": "AWS_ROLE_ARN",
}
role_session_name = "polytune"


class GivenSession(Session):  # type: ignore[misc]
    """A botocore session for a given environment, profile, region and role to assume."""

    def __init__(
        self, given: Mapping[str, str], *, region: str, profile: str = "", assume_role_arn: str = ""
    ) -> None:
        super().__init__()
        self._given = dict(given)
        self._explicit_profile = bool(profile)
        if profile:
            self._given["AWS_PROFILE"] = profile
            self._given.pop("AWS_DEFAULT_PROFILE", None)
        self._region = region
        self._assumed_role = assume_role_arn
        self._read_given_variables()
        self.lazy_register_component("data_loader", lambda: _models(self.get_config_variable("data_path")))
        self.lazy_register_component("credential_provider", self._credential_chain)
        self.lazy_register_component("token_provider", self._token_chain)

    def create_client(self, service_name: str, region_name: str | None = None, **options: Any) -> Any:
        """A client whose endpoint comes from the given variables and the config file."""
        # botocore resolves configured endpoints from os.environ: switched off, and done here instead.
        options["endpoint_url"] = options.get("endpoint_url") or self._endpoint(service_name)
        own = Config(ignore_configured_endpoint_urls=True, **self._signing(service_name))
        config = options.pop("config", None)
        options["config"] = own if config is None else own.merge(config)
        return super().create_client(service_name, region_name or self._region, **options)

    def _read_given_variables(self) -> None:
        # botocore has no argument for the environment: every variable's provider is replaced.
        chains = ConfigChainFactory(self, environ=self._given)
        store = self.get_component("config_store")
        for name, variable in self.SESSION_VARIABLES.items():
            store.set_config_provider(name, _chain(chains, name, variable))
        inside_s3 = {
            name: _chain(chains, name, variable) for name, variable in DEFAULT_S3_CONFIG_VARS.items()
        }
        store.set_config_provider("s3", SectionConfigProvider("s3", self, inside_s3))

    def _endpoint(self, service: str) -> str | None:
        if self.get_config_variable("ignore_configured_endpoint_urls"):
            return None
        configured = ConfiguredEndpointProvider(
            full_config=self.full_config,
            scoped_config=self.get_scoped_config(),
            client_name=service,
            environ=self._given,
        )
        found = configured.provide()
        return str(found) if found else None

    def _signing(self, service: str) -> dict[str, Any]:
        if service == "s3":
            return {"signature_version": "s3v4", **self._unsigned_content()}
        if not service.startswith("bedrock"):
            return {}
        # A Bedrock API key replaces SigV4; without one, v4 is set explicitly because the client would
        # otherwise look for the key in the process environment.
        if self._given.get(bearer_variable):
            return {"auth_scheme_preference": "httpBearerAuth"}
        return {"signature_version": "v4"}

    def _unsigned_content(self) -> dict[str, Any]:
        """Settings that stop S3 content from being hashed again for the signature.

        The signed checksum header already covers the content. botocore does the same over TLS; this saves
        the second hash over plain http as well. A config file that asks for signed content takes precedence.
        """
        configured = self.get_config_variable("s3") or {}
        if configured.get("payload_signing_enabled") is not None:
            return {}
        return {"s3": {"payload_signing_enabled": False}}

    def _token_chain(self) -> Any:
        return TokenProviderChain([ScopedEnvTokenProvider(self, environ=self._given), SSOTokenProvider(self)])

    def _credential_chain(self) -> Any:
        chain = create_credential_resolver(self, region_name=self._region)
        chain.get_provider("env").environ = self._given
        # A profile that the user named must win over keys in the environment; botocore prefers the keys.
        if self._explicit_profile:
            chain.remove("env")
        if not may_have_metadata_service(self._given):
            chain.remove("iam-role")
        # These two providers read os.environ when they are created, so they are created again.
        replaced = {
            "assume-role-with-web-identity": self._web_identity_provider(),
            "container-role": ContainerProvider(environ=self._given),
        }
        chain.providers = [replaced.get(provider.METHOD, provider) for provider in chain.providers]
        if not self._assumed_role:
            return chain
        return CredentialResolver([_AssumedRole(self.create_client, chain, self._assumed_role)])

    def _web_identity_provider(self) -> Any:
        profile = self.get_config_variable("profile") or "default"
        named = {
            name: self._given[variable] for name, variable in web_identity.items() if variable in self._given
        }

        def configuration() -> dict[str, Any]:
            in_file = self.full_config.get("profiles", {}).get(profile, {})
            return {"profiles": {profile: in_file if self._explicit_profile else {**in_file, **named}}}

        return AssumeRoleWithWebIdentityProvider(
            load_config=configuration,
            client_creator=self.create_client,
            profile_name=profile,
            cache={},
            disable_env_vars=True,
        )


class _AssumedRole:
    """Credentials of a role, fetched on first use and refreshed before they expire."""

    METHOD = "polytune-assume-role"
    CANONICAL_NAME = None

    def __init__(self, create_client: Any, source: Any, role_arn: str) -> None:
        self._create_client = create_client
        self._source = source
        self._role_arn = role_arn

    def load(self) -> Any:
        """Deferred credentials; None when there are no credentials to assume the role with."""
        source = self._source.load_credentials()
        if source is None:
            return None
        fetcher = AssumeRoleCredentialFetcher(
            client_creator=self._create_client,
            source_credentials=source,
            role_arn=self._role_arn,
            extra_args={"RoleSessionName": role_session_name},
        )
        return DeferredRefreshableCredentials(method=self.METHOD, refresh_using=fetcher.fetch_credentials)


@cache
def _models(data_path: str | None) -> Any:
    """The service models, read from disk once for all sessions; saves a tenth of a second per client."""
    return create_loader(data_path)


def _chain(chains: Any, name: str, variable: tuple[Any, Any, Any, Any]) -> Any:
    in_file, names, default, conversion = variable
    return chains.create_config_chain(
        instance_name=name,
        env_var_names=names,
        config_property_names=in_file,
        default=default,
        conversion_func=conversion,
    )
