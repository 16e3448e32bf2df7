import type { HomeView, KnownBlock, MessageMetadata, ModalView } from '@slack/types';

// Slack's `AnyBlock` takes any object that has a `type`; `KnownBlock` takes the blocks there are.
type OfKnown<T> = Omit<T, 'blocks'> & {
  /** As `BaseView.blocks` says: Max of 100 blocks. */
  blocks: KnownBlock[];
};

export interface Message {
  /** docs.slack.dev, chat.update: maximum length is 4000 characters. */
  text: string;
  /** docs.slack.dev, reference/block-kit/blocks: max of 50 blocks. */
  blocks: KnownBlock[];
  metadata?: MessageMetadata;
}

export type Modal = OfKnown<ModalView>;

export type Home = OfKnown<HomeView>;
