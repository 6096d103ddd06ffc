"""Gives every ConfigMap a label, with the kubernetes client: a watch, and a pool of threads that patch. Argument: the label."""
import sys
from concurrent.futures import ThreadPoolExecutor

from kubernetes import client, config, watch

config.load_kube_config()
label = sys.argv[1]
settings = client.Configuration.get_default_copy()
settings.connection_pool_maxsize = 32
core = client.CoreV1Api(client.ApiClient(settings))
pool = ThreadPoolExecutor(16)


def patch(name, namespace):
    core.patch_namespaced_config_map(name, namespace, {"metadata": {"labels": {label: "yes"}}})


def look(config_map):
    if label not in (config_map.metadata.labels or {}):
        pool.submit(patch, config_map.metadata.name, config_map.metadata.namespace)


config_maps = core.list_config_map_for_all_namespaces()
for config_map in config_maps.items:
    look(config_map)
version = config_maps.metadata.resource_version
del config_maps
while True:
    for event in watch.Watch().stream(core.list_config_map_for_all_namespaces, resource_version=version):
        if event["type"] != "DELETED":
            look(event["object"])
        version = event["object"].metadata.resource_version
