// A table that becomes a list on a narrow screen: each row a block with its first cell as heading. Rows keep their roles
// there, which a changed `display` takes from them. Called by whatever lists something.

import type { ComponentChildren, JSX } from "preact";

export interface TableColumn<Row> {
  readonly name: string;
  /** number: to the right, digits below digits. action: without a visible name. */
  readonly kind?: "text" | "number" | "action";
  /** On a narrow screen: over the whole width, which text of any length needs. */
  readonly wide?: boolean;
  cell(row: Row): ComponentChildren;
}

export interface TableProps<Row> {
  readonly label: string;
  readonly columns: readonly TableColumn<Row>[];
  readonly rows: readonly Row[];
  keyOf(row: Row): string;
  /** A row that is shown paler: it is over. */
  isOver?(row: Row): boolean;
  /** What to do, where there is nothing. */
  readonly empty: ComponentChildren;
}

export function Table<Row>(props: TableProps<Row>): JSX.Element {
  const { label, columns, rows, keyOf, isOver, empty } = props;
  if (rows.length === 0) return <p class="empty">{empty}</p>;
  return (
    <table role="table" class="rows" aria-label={label}>
      <thead role="rowgroup">
        <tr role="row">
          {columns.map(({ name, kind = "text" }) => (
            <th key={name} role="columnheader" scope="col" class={kind}>
              {kind === "action" ? <span class="unseen">{name}</span> : name}
            </th>
          ))}
        </tr>
      </thead>
      <tbody role="rowgroup">
        {rows.map((row) => (
          <tr key={keyOf(row)} role="row" class={isOver?.(row) === true ? "over" : ""}>
            {columns.map((column, i) => (
              <Cell key={column.name} column={column} row={row} isFirst={i === 0} />
            ))}
          </tr>
        ))}
      </tbody>
    </table>
  );
}

interface CellProps<Row> {
  readonly column: TableColumn<Row>;
  readonly row: Row;
  readonly isFirst: boolean;
}

function Cell<Row>({ column, row, isFirst }: CellProps<Row>): JSX.Element {
  const { name, kind = "text", wide = false } = column;
  const classes = wide ? `${kind} wide` : kind;
  if (isFirst) {
    return (
      <th role="rowheader" scope="row" class={classes}>
        {column.cell(row)}
      </th>
    );
  }
  return (
    <td role="cell" class={classes} data-name={name}>
      {column.cell(row)}
    </td>
  );
}
