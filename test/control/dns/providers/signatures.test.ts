// Signatures: the examples that AWS and Alibaba Cloud publish, and ours held to code that shares nothing with it.

import { describe, expect, test } from "bun:test";

import { AwsV4Signer } from "aws4fetch";
import fc from "fast-check";

import { canonicalQuery, signAcs3 } from "../../../../src/control/dns/providers/acs3.ts";
import { verifyAcs3 } from "../../../support/dns-apis/acs3-verify.ts";
import type { Seen } from "../../../support/dns-apis/fake-api.ts";
import { verifySigV4 } from "../../../support/dns-apis/sigv4.ts";

const SOME_TEXT = fc.string({ unit: "binary", minLength: 1, maxLength: 20 });
const SOME_QUERY = fc.uniqueArray(fc.tuple(SOME_TEXT, SOME_TEXT), { selector: ([name]) => name });

describe("Alibaba Cloud, version 3", () => {
  /** The example of its documentation: RunInstances. */
  const date = new Date("2023-10-26T10:22:32Z");
  const nonce = "3156853299f313e23d1673dc12e1703d";
  const query = "ImageId=win2019_1809_x64_dtc_zh-cn_40G_alibase_20230811.vhd&RegionId=cn-shanghai";
  const host = "ecs.cn-shanghai.aliyuncs.com";
  const key = { id: "YourAccessKeyId", secret: "YourAccessKeySecret", securityToken: null };
  const authorization =
    "ACS3-HMAC-SHA256 Credential=YourAccessKeyId,SignedHeaders=host;x-acs-action;x-acs-content-sha256;" +
    "x-acs-date;x-acs-signature-nonce;x-acs-version," +
    "Signature=06563a9e1b43f5dfe96b81484da74bceab24a1d853912eee15083a6f0f3283c0";
  const request = {
    method: "POST",
    url: new URL(`https://${host}/?${query}`),
    action: "RunInstances",
    version: "2014-05-26",
    date,
    nonce,
  };

  test("is as in the documentation's example", () => {
    expect(signAcs3(request, key)).toEqual({
      authorization,
      "x-acs-action": "RunInstances",
      "x-acs-content-sha256": "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
      "x-acs-date": "2023-10-26T10:22:32Z",
      "x-acs-signature-nonce": nonce,
      "x-acs-version": "2014-05-26",
    });
  });

  test("is what the tests' own verification expects of the example", () => {
    const { authorization: _, ...fields } = signAcs3(request, key);
    const headers = new Headers({ ...fields, host, authorization });
    const seen: Seen = { method: "POST", target: `/?${query}`, headers, body: "" };
    expect(verifyAcs3(seen, key, date.getTime())).toBeNull();
    expect(verifyAcs3(seen, { ...key, secret: "other" }, date.getTime())).toBe(
      "SignatureDoesNotMatch",
    );
    expect(verifyAcs3({ ...seen, target: "/?ImageId=x" }, key, date.getTime())).toBe(
      "SignatureDoesNotMatch",
    );
    expect(verifyAcs3(seen, key, date.getTime() + 16 * 60_000)).toBe("InvalidTimeStamp.Expired");
  });

  test("is right for whatever stands in the parameters, with a security token and without", () => {
    const tokens = fc.option(fc.stringMatching(/^[A-Za-z0-9+/=]{1,40}$/));
    fc.assert(
      fc.property(SOME_QUERY, tokens, (parameters, securityToken) => {
        const target = `/?${canonicalQuery(parameters)}`;
        const owner = { ...key, securityToken };
        const url = new URL(target, `https://${host}`);
        const fields = signAcs3({ ...request, url }, owner);
        const headers = new Headers({ ...fields, host });
        expect(
          verifyAcs3({ method: "POST", target, headers, body: "" }, owner, date.getTime()),
        ).toBeNull();
      }),
    );
  });
});

describe("AWS, version 4", () => {
  /** AWS's test suite for signatures: get-vanilla, post-vanilla and get-vanilla-query-order-key-case. */
  const key = {
    id: "AKIDEXAMPLE",
    secret: "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY",
    sessionToken: null,
  };
  const scope = { region: "us-east-1", service: "service" };
  const now = Date.parse("2015-08-30T12:36:00Z");
  const examples = [
    ["GET", "/", "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31"],
    ["POST", "/", "5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b"],
    [
      "GET",
      "/?Param2=value2&Param1=value1",
      "b97d918cfa904a5beff61c982a1b6f458b799221646efd99d3219ec94cdf2500",
    ],
  ] as const;

  function seenWith(method: string, target: string, signature: string): Seen {
    const headers = new Headers({
      host: "example.amazonaws.com",
      "x-amz-date": "20150830T123600Z",
      authorization:
        "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/service/aws4_request, " +
        `SignedHeaders=host;x-amz-date, Signature=${signature}`,
    });
    return { method, target, headers, body: "" };
  }

  test("is verified as in AWS's test suite", () => {
    for (const [method, target, signature] of examples) {
      expect(verifySigV4(seenWith(method, target, signature), key, scope, now)).toBeNull();
      const other = seenWith(method, `${target}x`, signature);
      expect(verifySigV4(other, key, scope, now)).toBe("SignatureDoesNotMatch");
      const late = verifySigV4(seenWith(method, target, signature), key, scope, now + 3_600_000);
      expect(late).toBe("RequestExpired");
    }
  });

  test("is made as in AWS's test suite", async () => {
    for (const [method, target, signature] of examples) {
      const signer = new AwsV4Signer({
        method,
        url: `https://example.amazonaws.com${target}`,
        accessKeyId: key.id,
        secretAccessKey: key.secret,
        datetime: "20150830T123600Z",
        ...scope,
      });
      expect(await signer.signature()).toBe(signature);
    }
  });

  test("is right for whatever stands in a query and in a body", async () => {
    const owner = { ...key, sessionToken: "FwoGZXIvYXdzEBYaD/+==" };
    const property = fc.asyncProperty(SOME_QUERY, SOME_TEXT, async (parameters, body) => {
      const query = parameters.map((pair) => pair.map(encodeURIComponent).join("=")).join("&");
      const target = `/2013-04-01/hostedzone/Z1/rrset?${query}`;
      const { headers } = await new AwsV4Signer({
        method: "POST",
        url: `https://route53.amazonaws.com${target}`,
        body,
        accessKeyId: owner.id,
        secretAccessKey: owner.secret,
        sessionToken: owner.sessionToken,
        ...scope,
      }).sign();
      headers.set("host", "route53.amazonaws.com");
      const seen = { method: "POST", target, headers, body };
      expect(verifySigV4(seen, owner, scope, Date.now())).toBeNull();
      const wrong = { ...owner, secret: "other" };
      expect(verifySigV4(seen, wrong, scope, Date.now())).toBe("SignatureDoesNotMatch");
    });
    await fc.assert(property);
  });
});
