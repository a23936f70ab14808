"""docker/ is of a piece, and in step with what the tests run: there is no Docker where they run."""
# own stores: no daemon runs

import os
import re
import shlex
import shutil
import subprocess

import yaml

from millrace_harness import Scenario, main
from processes import SOURCE, STANDINS, program

DOCKER = SOURCE / "docker"
INSTANCES = ("millrace-1", "millrace-2")
SERVICE_KEYS = {"build", "cap_drop", "command", "depends_on", "environment", "extra_hosts",
                "healthcheck", "hostname", "image", "init", "network_mode", "ports", "restart",
                "secrets", "security_opt", "stop_grace_period", "volumes"}
# Where a node listens and keeps its data is never the same in a test.
PLACES = {"controller.quorum.voters", "listeners", "advertised.listeners", "log.dirs",
          "listener.security.protocol.map"}
# Every Debian has these.
BASE_PACKAGES = {"libc6", "libgcc-s1", "libstdc++6"}
NOT_LINKED = {"ca-certificates", "tzdata"}


def text_of(path):
    return path.read_text("utf-8")


def settings(text):
    """Of server.properties."""
    return dict(re.findall(r"(?m)^([a-z.]+)=(.*)$", text))


def linked_packages():
    """Of Debian, that the two programs cannot start without."""
    libraries = set()
    for name in ("millraced", "millrace"):
        said = subprocess.run(["llvm-readelf-19", "--needed-libs", program(name)], check=True,
                              capture_output=True, text=True).stdout
        libraries.update(re.findall(r"(?m)^  (lib\S+)$", said))
    owners = subprocess.run(["dpkg", "-S", *(f"*/{name}" for name in libraries)], check=False,
                            capture_output=True, text=True).stdout
    return {line.split(":")[0] for line in owners.splitlines()
            if line.rsplit("/", 1)[1] in libraries and "-linux-gnu/" in line}


class Compose(Scenario):
    @classmethod
    def setUpClass(cls):
        cls.compose = yaml.safe_load(text_of(DOCKER / "compose.yaml"))
        cls.services = cls.compose["services"]
        cls.dockerfile = text_of(DOCKER / "Dockerfile")

    def mounts(self, service):
        """Pairs of source and place in the container."""
        return [mount.split(":")[:2] for mount in self.services[service].get("volumes", [])]

    def mounted_configuration(self, instance):
        """What the instance finds in /etc/millrace, as a directory."""
        directory = self.directory / instance
        for source, place in self.mounts(instance):
            if not place.startswith("/etc/millrace"):
                continue
            target = directory / place.removeprefix("/etc/millrace").lstrip("/")
            if (DOCKER / source).is_dir():
                shutil.copytree(DOCKER / source, target)
            else:
                self.assertTrue(target.exists(), f"nothing to mount {source} over")
                shutil.copy(DOCKER / source, target)
        return directory

    def test_everything_that_is_named_is_there(self):
        volumes, secrets = set(), set()
        for name, service in self.services.items():
            self.assertLessEqual(set(service), SERVICE_KEYS, name)
            for source, _ in self.mounts(name):
                if source.startswith("."):
                    self.assertTrue((DOCKER / source).exists(), f"{name}: {source}")
                else:
                    volumes.add(source)
            for secret in service.get("secrets", []):
                secrets.add(secret["source"] if isinstance(secret, dict) else secret)
            for other in service.get("depends_on", {}):
                self.assertIn("healthcheck", self.services[other], f"{name} waits for {other}")
            mode = service.get("network_mode", "service:kafka")
            self.assertIn(mode.removeprefix("service:"), self.services, name)
        self.assertEqual(set(self.compose["volumes"]), volumes)
        self.assertEqual(set(self.compose["secrets"]), secrets)
        asked = {secret["environment"] for secret in self.compose["secrets"].values()}
        self.assertEqual(asked, set(re.findall(r"(?m)^(\w+)=$", text_of(DOCKER / "env.example"))))
        self.assertTrue(os.access(DOCKER / "postgresql.sh", os.X_OK))

    def test_kafka_is_the_one_of_the_tests(self):
        kafka = self.services["kafka"]
        pom = text_of(STANDINS / "kafka_pom.xml")
        version = re.search(r"<artifactId>kafka_2.13</artifactId>\s*<version>(.*?)<", pom)[1]
        self.assertEqual(f"apache/kafka:{version}", kafka["image"])
        tested = settings(text_of(STANDINS / "kafka_server.sh"))
        ours = {name.removeprefix("KAFKA_").lower().replace("_", "."): str(value)
                for name, value in kafka["environment"].items()}
        common = (set(tested) & set(ours)) - PLACES
        self.assertLess(5, len(common))
        self.assertEqual({name: tested[name] for name in common},
                         {name: ours[name] for name in common})
        self.assertIn(ours["log.dirs"], [place for _, place in self.mounts("kafka")])

    def test_postgresql_is_the_one_of_the_tests(self):
        major = re.search(r"/usr/lib/postgresql/(\d+)/bin",
                          text_of(STANDINS / "postgresql_server.sh"))[1]
        self.assertEqual(f"postgres:{major}", self.services["postgresql"]["image"])

    def test_the_instances_find_kafka_and_postgresql(self):
        installation = yaml.safe_load(text_of(DOCKER / "millrace.yaml"))
        kafka = self.services["kafka"]["environment"]
        self.assertEqual(kafka["KAFKA_ADVERTISED_LISTENERS"],
                         f"PLAINTEXT://{installation['log']['kafka']['brokers']}")
        state = dict(word.split("=") for word in installation["state"]["postgresql"].split())
        self.assertIn(state["host"], self.services)
        self.assertEqual(self.services["postgresql"]["environment"]["POSTGRES_DB"],
                         state["dbname"])
        made = text_of(DOCKER / "postgresql.sh")
        self.assertIn(f"--dbname {state['dbname']}", made)
        self.assertIn(f"CREATE ROLE {state['user']} LOGIN", made)
        self.assertIn(f"CREATE SCHEMA millrace AUTHORIZATION {state['user']};", made)

    def test_the_configuration_of_each_instance_passes(self):
        for instance in INSTANCES:
            directory = self.mounted_configuration(instance)
            environment = self.services[instance]["environment"]
            self.assertEqual({"MILLRACE_INSTANCE": instance}, environment)
            done = subprocess.run(
                [program("millrace"), "lint", "--without-secrets", directory], check=False,
                capture_output=True, text=True, env={**os.environ, **environment})
            self.assertEqual(0, done.returncode, done.stdout + done.stderr)
            self.assertIn("0 warnings", done.stdout)
            asked = {name for file in directory.rglob("*.yaml")
                     for name in re.findall(r"\$\{secret\.(\w+)\}", text_of(file))}
            given = {secret["source"]: secret for secret in self.services[instance]["secrets"]}
            self.assertEqual(asked, set(given))
            uid = re.search(r"--uid (\d+)", self.dockerfile)[1]
            for secret in given.values():
                self.assertEqual((uid, uid, 0o400), (secret["uid"], secret["gid"], secret["mode"]))

    def test_nothing_listens_where_it_should_not_and_every_metric_has_a_way(self):
        variables = yaml.safe_load(text_of(DOCKER / "vars.yaml"))
        agent = yaml.safe_load(text_of(DOCKER / "agent.yml"))
        self.assertRegex(variables["admin"], r"^127\.0\.0\.1:\d+$")
        self.assertEqual([variables["admin"]],
                         agent["scrape_configs"][0]["static_configs"][0]["targets"])
        self.assertTrue(agent["remote_write"][0]["url"].startswith("http://prometheus:9090/"))
        for name, service in self.services.items():
            for port in service.get("ports", []):
                self.assertRegex(port, r"^127\.0\.0\.1:\d+:\d+$", name)
        listen = variables["listen"].rsplit(":", 1)[1]
        self.assertIn(f"EXPOSE {listen}\n", self.dockerfile)
        for number, instance in enumerate(INSTANCES, 1):
            node = self.services[f"node-{number}"]
            self.assertEqual(listen, node["ports"][0].rsplit(":", 1)[1])
            beside = [self.services[instance], self.services[f"agent-{number}"]]
            self.assertEqual(2 * [f"service:node-{number}"],
                             [service["network_mode"] for service in beside])
            self.assertEqual(*(service["environment"] for service in beside))

    def test_the_image_has_what_the_programs_are_linked_with_and_no_more(self):
        listed = re.search(r"--no-install-recommends \\\n(.*?)\s*&&", self.dockerfile, re.DOTALL)
        installed = set(listed[1].replace("\\", "").split())
        self.assertEqual(linked_packages() - BASE_PACKAGES, installed - NOT_LINKED)

    def test_the_health_check_says_whether_it_is_ready(self):
        millrace = self.order_broker(self.target()).start()
        admin = yaml.safe_load(text_of(DOCKER / "vars.yaml"))["admin"].replace(":", "/")
        test = self.services["millrace-1"]["healthcheck"]["test"]
        self.assertIn(f"/dev/tcp/{admin} ", test[-1])
        command = [word.replace(admin, f"127.0.0.1/{millrace.admin_port}") for word in test[1:]]

        def healthy():
            return subprocess.run(command, check=False, capture_output=True,
                                  timeout=60).returncode == 0
        self.assertTrue(healthy(), shlex.join(command))
        millrace.terminate()
        self.assertFalse(healthy())


if __name__ == "__main__":
    main()
