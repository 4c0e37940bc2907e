// How many descriptors a process may open, where getrlimit(2) is not bound: the runtime's diagnostic report knows it. Called by
// engines and by the control plane, which keep the answer.

interface Report {
  readonly userLimits?: { readonly open_files?: { readonly soft?: number | string } };
}

/** Takes tens of milliseconds. @returns 0: there is no limit, or nobody knows it. */
export function reportedDescriptors(): number {
  const soft = Number((process.report.getReport() as Report).userLimits?.open_files?.soft);
  return Number.isNaN(soft) ? 0 : soft;
}
