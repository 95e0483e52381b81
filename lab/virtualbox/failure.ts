/**
 * Part of the STAND-IN for VBoxManage: its failures, with the words and exit codes of the real one. Words are from
 * issues 94 (packer), 11174 (vagrant), 581 (geerlingguy/ansible-for-devops), 41 (owncloud/vm), 299 (GNS3/gns3-server)
 * and VirtualBox's manual.
 */

/** A failure as VBoxManage prints it: on standard error, with exit code 1 (2 for wrong arguments). */
export class Failure extends Error {
  constructor(
    readonly lines: readonly string[],
    readonly code: number,
  ) {
    super(lines.join("\n"));
  }
}

const codes = {
  VBOX_E_OBJECT_NOT_FOUND: "0x80bb0001",
  VBOX_E_INVALID_VM_STATE: "0x80bb0002",
  VBOX_E_FILE_ERROR: "0x80bb0004",
  VBOX_E_INVALID_OBJECT_STATE: "0x80bb0007",
  VBOX_E_OBJECT_IN_USE: "0x80bb000c",
  NS_ERROR_INVALID_ARG: "0x80070057",
} as const;

/** Of VirtualBox itself: a sentence, then where it comes from. */
export function refused(code: keyof typeof codes, text: string, component: string, context: string): Failure {
  return new Failure(
    [
      `VBoxManage: error: ${text}`,
      `VBoxManage: error: Details: code ${code} (${codes[code]}), component ${component}Wrap, interface I${component}, callee nsISupports`,
      `VBoxManage: error: Context: "${context}" at line 0 of file stand-in`,
    ],
    1,
  );
}

/** Of VBoxManage: wrong arguments, and networks that are there or not. */
export function wrong(text: string): Failure {
  return new Failure([`VBoxManage: error: ${text}`], 2);
}

export const noMachine = (name: string): Failure =>
  refused(
    "VBOX_E_OBJECT_NOT_FOUND",
    `Could not find a registered machine named '${name}'`,
    "VirtualBox",
    "FindMachine(Bstr(VMNameOrUuid).raw(), machine.asOutParam())",
  );

export const noMedium = (file: string): Failure =>
  refused(
    "VBOX_E_FILE_ERROR",
    `Could not find file for the medium '${file}' (VERR_FILE_NOT_FOUND)`,
    "Medium",
    "OpenMedium(Bstr(pszFilenameOrUuid).raw(), enmDevType, enmAccessMode, fForceNewUuidOnOpen, pMedium.asOutParam())",
  );

/** While another session starts the machine. */
export const startLocked = (name: string): Failure =>
  refused(
    "VBOX_E_INVALID_OBJECT_STATE",
    `The machine '${name}' is already locked by a session (or being locked or unlocked)`,
    "Machine",
    "LaunchVMProcess(a->session, sessionType.raw(), ComSafeArrayAsInParam(aBstrEnv), progress.asOutParam())",
  );

/** While the machine runs, or another session changes it. */
export const writeLocked = (name: string): Failure =>
  refused(
    "VBOX_E_INVALID_OBJECT_STATE",
    `The machine '${name}' is already locked for a session (or being unlocked)`,
    "Machine",
    "LockMachine(a->session, LockType_Write)",
  );

/** While the machine's state is saved. */
export const notMutable = (state: string): Failure =>
  refused(
    "VBOX_E_INVALID_VM_STATE",
    `The machine is not mutable (state is ${state})`,
    "SessionMachine",
    "COMSETTER(MemorySize)(ValueUnion.u32)",
  );

export const notRunning = (name: string): Failure =>
  refused(
    "VBOX_E_INVALID_VM_STATE",
    `Machine '${name}' is not currently running.`,
    "Machine",
    "LockMachine(a->session, LockType_Shared)",
  );
