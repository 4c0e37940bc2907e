// The dashboard's entry point, in a browser: one store, one page. Built by control/admin/page-bundle.ts into one document.

import { render } from "preact";

import { StoreContext } from "./context.ts";
import { Page } from "./page.tsx";
import { Store } from "./store.ts";
import { applyTheme, theme } from "./theme.ts";

applyTheme(theme());
const store = new Store();
render(
  <StoreContext.Provider value={store}>
    <Page />
  </StoreContext.Provider>,
  document.body,
);
store.start();
