/** Folders at the top of a lake, beside the tables' folders. */
export const commitsFolder = "_commits";
export const topicsFolder = "_topics";
/** A local store's folder for unfinished files. Object paths below it are refused. */
export const stagedFolder = "_staging";
