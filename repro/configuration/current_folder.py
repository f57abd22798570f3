"""A Hydra config source that shows of the current folder's conf/ only the groups a person may add to."""

from __future__ import annotations

from pathlib import Path

from hydra.core.object_type import ObjectType
from hydra.plugins.config_source import ConfigLoadError, ConfigResult, ConfigSource
from omegaconf import OmegaConf

from repro.configuration.folders import USER_GROUPS, user_conf


class CurrentFolderSource(ConfigSource):
    """Hydra's file source would also offer the folder's config.yaml and every other group, which may not be ours."""

    @staticmethod
    def scheme() -> str:
        return "current-folder"

    def _place(self, config_path: str) -> Path | None:
        folder = user_conf()
        if folder is None or config_path.split("/")[0] not in USER_GROUPS:
            return None
        return folder / config_path

    def _file(self, config_path: str) -> Path | None:
        place = self._place(config_path)
        if place is None or "/" not in config_path:
            return None
        return place if place.suffix == ".yaml" else place.with_name(f"{place.name}.yaml")

    def load_config(self, config_path: str) -> ConfigResult:
        path = self._file(config_path)
        if path is None or not path.is_file():
            raise ConfigLoadError(f"Config not found: {config_path}")
        with path.open(encoding="utf-8") as file:
            header = ConfigSource._get_header_dict(file.read(512))
            file.seek(0)
            config = OmegaConf.load(file)
        return ConfigResult(config=config, path=self.full_path(), provider=self.provider, header=header)

    def available(self) -> bool:
        return True  # an absent folder adds nothing and is no reason to warn

    def is_group(self, config_path: str) -> bool:
        place = self._place(config_path)
        return place is not None and place.is_dir()

    def is_config(self, config_path: str) -> bool:
        path = self._file(config_path)
        return path is not None and path.is_file()

    def list(self, config_path: str, results_filter: ObjectType | None) -> list[str]:
        place = self._place(config_path)
        names: list[str] = []
        if place is not None and place.is_dir():
            for entry in place.iterdir():
                path = f"{config_path}/{entry.name}"
                self._list_add_result(names, file_path=path, file_name=entry.name, results_filter=results_filter)
        return sorted(set(names))
