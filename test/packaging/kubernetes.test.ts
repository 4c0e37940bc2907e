// The manifests of packaging/kubernetes: what they configure is valid, and their parts fit each other.

import { describe, expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { dirname, join } from "node:path";

import { parseAllDocuments } from "yaml";

import { checkSource } from "../../src/config/check.ts";
import { parseSource } from "../../src/config/load.ts";
import { compile } from "../../src/control/compile.ts";
import { usesLowPorts } from "../../src/control/service/facts.ts";
import type { Plan } from "../../src/shared/plan.ts";

interface Container {
  name: string;
  args?: string[];
  restartPolicy?: string;
  ports?: { name: string; containerPort: number }[];
  lifecycle?: { preStop: { sleep: { seconds: number } } };
  volumeMounts?: { name: string; mountPath: string; subPath?: string }[];
  securityContext: Record<string, unknown>;
  resources: { requests: object; limits: object };
  [probe: `${string}Probe`]: { httpGet: { path: string; port: string } };
}

interface PodSpec {
  terminationGracePeriodSeconds: number;
  securityContext: { runAsNonRoot: boolean; fsGroup: number };
  initContainers?: Container[];
  containers: Container[];
  volumes: { name: string }[];
}

interface Manifest {
  kind: string;
  metadata: { name: string };
  data?: Record<string, string>;
  spec: {
    selector: { matchLabels?: Record<string, string> } & Record<string, unknown>;
    template: { metadata: { labels: Record<string, string> }; spec: PodSpec };
    ports: { targetPort: string }[];
  };
}

function read(file: string): Manifest[] {
  const path = join(import.meta.dir, "../../packaging/kubernetes", file);
  return parseAllDocuments(readFileSync(path, "utf8")).map((document) => {
    expect(document.errors).toEqual([]);
    return document.toJS() as Manifest;
  });
}

function one(manifests: readonly Manifest[], kind: string): Manifest {
  const found = manifests.filter((each) => each.kind === kind);
  expect(found).toHaveLength(1);
  return found[0]!;
}

function planOf(manifests: readonly Manifest[]): Plan {
  const text = one(manifests, "ConfigMap").data!["proxy.yaml"]!;
  const machine = {
    platform: "linux",
    cpus: 64,
    folder: "/var/lib/proxy",
    terminal: false,
  } as const;
  return compile(checkSource(parseSource(text, "proxy.yaml")), machine);
}

describe.each(["proxy.yaml", "sidecar.yaml"])("%s", (file) => {
  const manifests = read(file);
  const { spec } = one(manifests, "Deployment");
  const pod = spec.template.spec;
  const proxy = [...(pod.initContainers ?? []), ...pod.containers].find(
    ({ name }) => name === "proxy",
  )!;
  const plan = planOf(manifests);

  test("the configuration in it is valid, with a number of threads of its own", () => {
    expect(plan.listeners.length).toBeGreaterThan(0);
    expect(plan.workers).toBeLessThan(3);
    expect(proxy.args).toEqual(["-config", "/etc/proxy/proxy.yaml"]);
  });

  test("listens on the ports that the pod and the service name, none of them below 1024", () => {
    expect(usesLowPorts(plan)).toBe(false);
    const listening = plan.listeners.map(({ listen }) => listen.kind === "tcp" && listen.port);
    const serving = proxy.ports!.filter(({ name }) => name !== "admin");
    expect(serving.map(({ containerPort }) => containerPort)).toEqual(listening as number[]);
    const names = serving.map(({ name }) => name);
    const service = one(manifests, "Service");
    expect(service.spec.ports.map(({ targetPort }) => targetPort)).toEqual(names);
  });

  test("is probed on its admin listener, which wants a token of everybody else", () => {
    const { listen, tokenFile } = plan.admin!;
    const [admin] = proxy.ports!.filter(({ name }) => name === "admin");
    expect(listen).toMatchObject({ kind: "tcp", host: "", port: admin!.containerPort });
    const mounts = proxy.volumeMounts!.map(({ mountPath }) => mountPath);
    expect(mounts).toContain(dirname(tokenFile!));
    const paths = {
      startupProbe: "/livez",
      // A wrong configuration, which all pods get, is served by none, and must not take them all out of the service.
      readinessProbe: "/readyz?exclude=configuration",
      livenessProbe: "/livez",
    };
    for (const [probe, path] of Object.entries(paths)) {
      expect(proxy[probe as keyof typeof paths]!.httpGet).toEqual({ path, port: "admin" });
    }
  });

  test("gives the proxy the time to drain before it is killed", () => {
    const before = pod.containers[0]!.lifecycle!.preStop.sleep.seconds;
    expect(pod.terminationGracePeriodSeconds).toBeGreaterThan(
      before + plan.shutdownTimeoutMs / 1_000,
    );
  });

  test("runs without root, privileges and a disk to write to", () => {
    expect(pod.securityContext).toMatchObject({ runAsNonRoot: true, fsGroup: 65_532 });
    expect(proxy.securityContext).toMatchObject({
      allowPrivilegeEscalation: false,
      readOnlyRootFilesystem: true,
      capabilities: { drop: ["ALL"] },
    });
    expect(Object.keys(proxy.resources)).toEqual(["requests", "limits"]);
  });

  test("mounts volumes that are there, and the configuration as a folder, which follows changes", () => {
    const volumes = pod.volumes.map(({ name }) => name);
    for (const { name, subPath } of proxy.volumeMounts!) {
      expect(volumes).toContain(name);
      expect(subPath).toBeUndefined();
    }
  });

  test("selects the pods that it makes", () => {
    const { labels } = spec.template.metadata;
    expect(spec.selector.matchLabels).toEqual(labels);
    expect(one(manifests, "Service").spec.selector as object).toEqual(labels);
  });
});
