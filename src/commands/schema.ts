// `proxy schema`: the JSON Schema of the configuration file, for editors.

import { defineCommand } from "citty";

import { jsonSchema } from "../config/schema.ts";
import { print } from "./terminal.ts";

export const schema = defineCommand({
  meta: { name: "schema", description: "print the JSON Schema of the configuration, for editors" },
  args: {},
  run: async (): Promise<number> => {
    await print(JSON.stringify(jsonSchema(), null, 2));
    return 0;
  },
});
